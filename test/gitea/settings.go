package gitea

import (
	"bytes"
	"fmt"
	"path/filepath"
	"text/template"
)

// settings are the values of app.ini.
type settings struct {
	// Account is the name of the account that runs the program.
	Account           string
	Dir, Logs, Static string
	HTTPPort, SSHPort int
	SecretKey         string
	// HookProxy and HookHosts are as in Options.
	HookProxy, HookHosts string
}

// CAFile has certificates that deliveries of hooks trust.
func (s settings) CAFile() string { return filepath.Join(s.Dir, "hooks-ca.crt") }

// HostKey is the file of the private key of the SSH server.
func (s settings) HostKey() string { return filepath.Join(s.Dir, "ssh-host-key") }

// appINI switches off whatever calls the network or costs time, and lets hooks call
// loopback. Passwords are hashed quickly, because only tests know them.
const appINI = `RUN_MODE = prod
RUN_USER = {{.Account}}
WORK_PATH = {{.Dir}}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true

[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {{.HTTPPort}}
ROOT_URL = http://127.0.0.1:{{.HTTPPort}}/
LOCAL_ROOT_URL = http://127.0.0.1:{{.HTTPPort}}/
DOMAIN = 127.0.0.1
STATIC_ROOT_PATH = {{.Static}}
APP_DATA_PATH = {{.Dir}}/data
OFFLINE_MODE = true
LFS_START_SERVER = false
START_SSH_SERVER = true
BUILTIN_SSH_SERVER_USER = git
SSH_DOMAIN = 127.0.0.1
SSH_LISTEN_HOST = 127.0.0.1
SSH_LISTEN_PORT = {{.SSHPort}}
SSH_PORT = {{.SSHPort}}
SSH_SERVER_HOST_KEYS = {{.HostKey}}
SSH_CREATE_AUTHORIZED_KEYS_FILE = false

[database]
DB_TYPE = sqlite3
PATH = {{.Dir}}/gitea.db
SQLITE_JOURNAL_MODE = WAL
SQLITE_TIMEOUT = 20000

[repository]
ROOT = {{.Dir}}/repositories
DEFAULT_BRANCH = main
SCRIPT_TYPE = sh

[security]
INSTALL_LOCK = true
SECRET_KEY = {{.SecretKey}}
PASSWORD_HASH_ALGO = pbkdf2$1000$50
PASSWORD_COMPLEXITY = off
MIN_PASSWORD_LENGTH = 8

[service]
DISABLE_REGISTRATION = true
DEFAULT_KEEP_EMAIL_PRIVATE = false

[webhook]
ALLOWED_HOST_LIST = loopback{{with .HookHosts}},{{.}}{{end}}
DELIVER_TIMEOUT = 5
{{- with .HookProxy}}
PROXY_URL = {{.}}
PROXY_HOSTS = {{$.HookHosts}}:*
{{- end}}

[indexer]
ISSUE_INDEXER_TYPE = db

[queue]
TYPE = channel

[session]
PROVIDER = memory

[picture]
DISABLE_GRAVATAR = true

[oauth2]
ENABLED = false

[actions]
ENABLED = false

[packages]
ENABLED = false

[mirror]
ENABLED = false

[cron]
ENABLED = false

[log]
MODE = console
LEVEL = Warn
`

// text returns the content of app.ini.
func (s settings) text() ([]byte, error) {
	parsed, err := template.New("app.ini").Parse(appINI)
	if err != nil {
		return nil, fmt.Errorf("parse the settings: %w", err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, s); err != nil {
		return nil, fmt.Errorf("write the settings: %w", err)
	}
	return out.Bytes(), nil
}
