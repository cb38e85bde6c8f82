package schemas

import "embed"

//go:embed glossary.json
var files embed.FS
