"""What the user declares: frozen dataclasses without time or state."""
