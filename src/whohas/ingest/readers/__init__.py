"""Readers of input files: CSV, JSON, Parquet and XLSX become batches of rows in Arrow."""
