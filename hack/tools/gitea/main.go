// Command gitea is Gitea with a database driver that needs no C compiler, for tests and
// the demo. Its commands and settings are Gitea's own.
package main

import (
	"database/sql"
	"os"
	"runtime"
	"time"

	"code.gitea.io/gitea/cmd"
	"code.gitea.io/gitea/modules/log"
	"code.gitea.io/gitea/modules/setting"
	"github.com/urfave/cli/v3"
)

// version is the version of Gitea in go.mod. The build sets it.
var version = "development"

func main() {
	setting.AppVer = version
	setting.AppBuiltWith = " built with " + runtime.Version()
	setting.AppStartTime = time.Now().UTC()

	sql.Register(driverName, &liteDriver{})
	setting.EnableSQLite3 = true
	setting.SupportedDatabaseTypes = append(setting.SupportedDatabaseTypes, driverName)

	cli.OsExiter = func(code int) {
		log.GetManager().Close()
		os.Exit(code)
	}
	app := cmd.NewMainApp(cmd.AppVersion{Version: setting.AppVer, Extra: setting.AppBuiltWith})
	err := cmd.RunMainApp(app, os.Args...)
	// The log is written by another goroutine.
	log.GetManager().Close()
	if err != nil {
		os.Exit(1)
	}
}
