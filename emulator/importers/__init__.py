"""Other files turned into topologies."""
