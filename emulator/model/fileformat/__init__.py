"""The format of topology files: text to values to forms to entities, and back; `files` is its front door."""
