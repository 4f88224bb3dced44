"""The picker: particles marked by hand in three linked slices and an oblique one; every change can be undone."""
