module whohas/tools/prose

go 1.25.7

require github.com/vale-cli/vale/v3 v3.26.0

// the public module proxy does not serve the commit that vale asks for
replace github.com/andybalholm/cascadia => github.com/andybalholm/cascadia v1.3.3
