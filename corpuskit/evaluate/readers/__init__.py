"""The formats of annotated texts, a module each: from files to documents, every offset checked."""
