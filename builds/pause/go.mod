module cantiere/builds/pause

go 1.26.0
