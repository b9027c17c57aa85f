"""What people type on a machine: programs that run on a host in the network's time, and results that look like the tool's."""
