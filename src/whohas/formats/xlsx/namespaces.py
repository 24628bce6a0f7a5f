"""XML declaration, namespaces and content types that the parts of a workbook share; ECMA-376 parts 1 and 2."""

from __future__ import annotations

from typing import Final

XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
SHEET_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
