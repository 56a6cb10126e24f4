"""A look at a corpus: figures, samples and differences on one page that a browser opens from the disk."""
