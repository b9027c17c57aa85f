"""Pictures: boxes and lanes laid out without a drawing library, then drawn."""
