package gitlab

import _ "embed"

//go:embed program.lua
var program string
