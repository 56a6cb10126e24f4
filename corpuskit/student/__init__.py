"""Students: small models that learn from annotations and label the whole corpus."""
