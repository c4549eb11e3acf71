"""The front end: from a TOSCA template and its inputs to a typed and checked :class:`~cantiere.model.Facility`.

``compile.load`` is the way in. The rooms, in the order in which a template passes through them:

``elements``, ``document``
    YAML with a position for every element, and limits against hostile input.
``sources``, ``csar``
    The template or the archive with it, the files that it imports, and the inputs.
``modern``
    TOSCA 2.0, written as 1.3 has it.
``grammar``
    Which keywords a construct may have.
``registry``, ``namespaces``, ``schema``
    Types with everything that they inherit, and the schemas of their properties.
``pattern``, ``jsonrules``, ``scalars``, ``units``, ``constraints``, ``values``
    From text to typed values.
``functions``, ``late``, ``computing``, ``operators``
    Intrinsic functions: what only the running facility knows, and those of TOSCA 2.0 that compute.
``topology``, ``requirements``, ``filters``
    Node templates, and who fulfils whose requirements.
``members``, ``lifecycle``
    Groups, policies, substitution mappings; interfaces and artifacts.
``operations``, ``workflows``
    What implements operations, and the workflows that call them.
``check``
    What is checked beside: types, relationship templates, what is declared but not used.
``compile``
    All of it in one call.
"""
