"""The naturalness study: people judge photographs, blind to the method that colorized them."""
