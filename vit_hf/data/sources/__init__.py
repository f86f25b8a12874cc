"""Where images come from: open_data.py chooses by `data.name`, and each kind becomes the tables of tables.py."""
