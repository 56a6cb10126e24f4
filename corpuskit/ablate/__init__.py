"""Studies: the same model made and evaluated over a grid of corpora, samples and ways to begin."""
