"""The INDIGO, INFN and grycap dialect of TOSCA: read as its authors mean it, and mapped on the services of this project.

``dialect``
    Whether a template speaks it, and every rule that is relaxed then; each use of one is told as a notice.
``rewriting``
    What a template of the dialect writes differently, brought to the form of the standard.
``partial``
    Templates that are merged with the ones that they belong to.
``model``, ``convert``, ``table``, ``charts``
    Which of their types becomes which of ours, property by property; a release by the name of its chart.
``openings``
    Ports of machines that they open to the world.
``joins``, ``translate``
    From a checked template of theirs to a template of ours.
``outputs``
    Outputs that only the running facility can answer.
"""
