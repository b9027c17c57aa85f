"""Bytes to integers and back; knows no VPC."""
