"""Writers of report files, one module or package per format."""
