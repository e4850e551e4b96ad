"""From finished runs to figures, tables and a page. Reads files, imports nothing from `src`, needs no model."""
