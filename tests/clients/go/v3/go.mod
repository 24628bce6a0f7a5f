module whohas.example/clients/v3

go 1.23.0

require github.com/sailpoint-oss/golang-sdk/v3 v3.0.4
