"""From the parts that reading left to the finished tables and their accounts."""
