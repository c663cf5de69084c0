"""Reads a run folder and writes what people look at; knows no network and no images of its own."""
