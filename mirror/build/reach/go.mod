module mirror/reach

go 1.25.0
