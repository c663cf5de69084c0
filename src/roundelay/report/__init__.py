"""Reads a run folder and writes what people look at; decides nothing."""
