"""A model to try: an app on this machine or as a Space on the Hub, and a page that needs nothing but a browser."""
