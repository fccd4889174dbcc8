package main

import (
	"database/sql/driver"
	"fmt"
	"net/url"
	"strings"

	"modernc.org/sqlite"
)

// driverName is the name by which Gitea opens SQLite.
const driverName = "sqlite3"

// liteDriver opens SQLite with the connection strings that Gitea writes for a driver in C.
type liteDriver struct{ sqlite.Driver }

// Open implements driver.Driver.
func (d *liteDriver) Open(name string) (driver.Conn, error) {
	name, err := translate(name)
	if err != nil {
		return nil, err
	}
	return d.Driver.Open(name)
}

// translate returns the connection string of this driver for Gitea's. Without a shared
// cache a connection waits for another one, instead of failing on its locks.
func translate(name string) (string, error) {
	file, query, _ := strings.Cut(name, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("parse the options of the connection string: %w", err)
	}
	for option, pragma := range map[string]string{"_busy_timeout": "busy_timeout", "_journal_mode": "journal_mode"} {
		if value := values.Get(option); value != "" {
			values.Add("_pragma", pragma+"("+value+")")
		}
		values.Del(option)
	}
	values.Del("cache")
	return file + "?" + values.Encode(), nil
}
