"""Who can open what to whom: exact over the classes of ports, protocols and addresses that the rules make."""
