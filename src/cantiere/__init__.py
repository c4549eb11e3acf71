"""cantiere: from one TOSCA template to a running scientific analysis facility."""

__version__ = "0.1.0"
