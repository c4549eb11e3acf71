"""Labels by which the facility's objects are known in the container engine."""

LABEL_FACILITY = "cantiere.facility"
LABEL_LINEAGE = "cantiere.lineage"
LABEL_DIGEST = "cantiere.digest"
LABEL_SPEC = "cantiere.spec"
