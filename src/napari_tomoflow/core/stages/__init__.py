"""The stages of the pipeline, in its order. Being listed here is being offered, documented and tested."""
