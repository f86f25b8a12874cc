"""From files, tables and the Hub to checked, prepared and augmented batches of pixels."""
