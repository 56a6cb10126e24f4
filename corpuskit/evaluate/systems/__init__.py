"""What can be evaluated: encoders that are fine-tuned, models that are asked, and a dictionary to be above."""
