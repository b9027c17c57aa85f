"""Endpoints: a packet and a time in, packets to send out."""
