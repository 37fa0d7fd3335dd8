"""Telling other systems what happened here: endpoints, the messages to them, and how these leave."""
