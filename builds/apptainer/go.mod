module cantiere/builds/apptainer

go 1.26.4

require github.com/apptainer/apptainer v1.4.1
