"""Compiled loops on plain arrays, one module per family; `_jit` owns the compiler flags."""
