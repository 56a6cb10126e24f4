"""Publishing: a corpus as a data set of the Hugging Face Hub, its card, and the way back to withheld texts."""
