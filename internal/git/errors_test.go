package git

import (
	"errors"
	"strings"
	"testing"
)

// Messages as git 2.39 and OpenSSH print them in the C locale.
func TestClassify(t *testing.T) {
	for stderr, want := range map[string]error{
		"fatal: couldn't find remote ref refs/heads/next":                                                                                        ErrBranchMissing,
		"fatal: remote error: upload-pack: not our ref 0123":                                                                                     ErrUnknownRevision,
		"error: Server does not allow request for unadvertised object 0123":                                                                      ErrUnknownRevision,
		"Host key verification failed.\nfatal: Could not read from remote repository.":                                                           ErrAuthentication,
		"No ED25519 host key is known for git.example.com and you have requested strict checking.":                                               ErrAuthentication,
		"fatal: could not read Username for 'https://a': terminal prompts disabled":                                                              ErrAuthentication,
		"fatal: could not read Password for 'https://a': terminal prompts disabled":                                                              ErrAuthentication,
		"remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://a/'":                                                       ErrAuthentication,
		"fatal: unable to access 'https://a/': The requested URL returned error: 403":                                                            ErrAuthentication,
		"git@a: Permission denied (publickey).\nfatal: Could not read from remote repository.":                                                   ErrAuthentication,
		"Received disconnect from 10.0.0.1: Too many authentication failures":                                                                    ErrAuthentication,
		"fatal: repository 'https://a/' not found":                                                                                               ErrRepositoryMissing,
		"fatal: unable to access 'https://a/': The requested URL returned error: 404":                                                            ErrRepositoryMissing,
		"fatal: unable to access 'https://a/': The requested URL returned error: 410":                                                            ErrRepositoryMissing,
		"fatal: 'a' does not appear to be a git repository\nfatal: Could not read from remote repository.":                                       ErrRepositoryMissing,
		"remote: The project you were looking for could not be found or you don't have permission to view it.":                                   ErrRepositoryMissing,
		"fatal: unable to access 'https://a/': The requested URL returned error: 302":                                                            ErrUnreachable,
		"fatal: unable to update url base from redirection:":                                                                                     ErrUnreachable,
		"fatal: unable to access 'https://a/': SSL certificate problem: self-signed certificate":                                                 ErrCertificate,
		"fatal: unable to access 'https://a/': Could not resolve host: a":                                                                        ErrUnreachable,
		"error: object 0123: zeroPaddedFilemode\nfatal: fsck error in packed object":                                                             ErrRefused,
		"fatal: unable to access 'https://a/': The requested URL returned error: 502":                                                            ErrUnreachable,
		"ssh: connect to host a port 22: Connection refused":                                                                                     ErrUnreachable,
		"error: RPC failed; curl 18 transfer closed":                                                                                             ErrUnreachable,
		"ERROR: Repository not found.\nfatal: Could not read from remote repository.":                                                            ErrRepositoryMissing,
		"ERROR: The project you were looking for could not be found or you don't have permission to view it.\nfatal: Could not read from remote": ErrRepositoryMissing,
		"conq: repository does not exist.\nfatal: Could not read from remote repository.":                                                        ErrRepositoryMissing,
		"The requested repository either does not exist or you do not have access.\nfatal: Could not read from remote repository.":               ErrRepositoryMissing,
		"fatal: remote error: access denied or repository not exported: /a":                                                                      ErrRepositoryMissing,
		"remote: ERROR: Your SSH key has expired.\nfatal: Could not read from remote repository.":                                                ErrAuthentication,
		"remote: Public key authentication failed.\nfatal: Could not read from remote repository.":                                               ErrAuthentication,
		"Gitea: Unauthorized\nfatal: Could not read from remote repository.":                                                                     ErrAuthentication,
		"remote: You are not allowed to download code from this project.\nfatal: unable to access '': The requested URL returned error: 403":     ErrAuthentication,
		"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.":                                                    ErrAuthentication,
		"Load key \"/tmp/k\": invalid format\ngit@a: Permission denied (publickey).":                                                             ErrRefused,
		"Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa":                                       ErrUnreachable,
		"ssh: Could not resolve hostname a: Name or service not known":                                                                           ErrUnreachable,
		"fatal: unable to access '': Failed to connect to a port 443 after 0 ms: Couldn't connect to server":                                     ErrUnreachable,
		"fatal: unable to access '': Connection timed out after 300 ms":                                                                          ErrUnreachable,
		"fatal: unable to access '': Recv failure: Connection reset by peer":                                                                     ErrUnreachable,
		"fatal: unable to access '': Empty reply from server":                                                                                    ErrUnreachable,
		"fatal: unable to access '': gnutls_handshake() failed: The TLS connection was non-properly terminated.":                                 ErrUnreachable,
		"fatal: unable to access '': error:0A00010B:SSL routines::wrong version number":                                                          ErrUnreachable,
		"fatal: write error: No space left on device":                                                                                            ErrNoSpace,
		"error: unable to write file objects/ab: Disk quota exceeded":                                                                            ErrNoSpace,
		"remote: fatal: write error: No space left on device\nfatal: the remote end hung up unexpectedly":                                        ErrUnreachable,
		"fatal: mismatched algorithms: client sha1; server sha256":                                                                               errFormat,
		"fatal: early EOF":                                                ErrUnreachable,
		"fatal: the remote end hung up unexpectedly":                      ErrUnreachable,
		"fatal: https://a/info/refs not valid: is this a git repository?": ErrUnreachable,
		"fatal: invalid server response; got ''":                          ErrUnreachable,
		"fatal: unable to write new index file":                           nil,
		"fatal: bad object 'Could not resolve host'":                      nil,
		"warning: redirecting\nfatal: bad file 'returned error: 404 could not be found certificate fsck error Permission denied (publickey)'": nil,
	} {
		got := classify(failed{repository: "example.com/a", command: "fetch", code: 128, stderr: stderr})
		var known *Error
		var unknown *CommandError
		switch {
		case want != nil && (!errors.Is(got, want) || !errors.As(got, &known) || known.Repository != "example.com/a" || known.Reason == ""):
			t.Errorf("%q is %v, want %v", stderr, got, want)
		case want == nil && (!errors.As(got, &unknown) || unknown.Repository != "example.com/a" || unknown.Command != "fetch" || unknown.Code != 128 || unknown.Detail == ""):
			t.Errorf("%q is %v, want a CommandError", stderr, got)
		}
		if strings.Contains(got.Error(), "fatal") {
			t.Errorf("the message repeats git's output: %v", got)
		}
	}
}

func TestErrorMessages(t *testing.T) {
	long := strings.Repeat("n", 300)
	for want, err := range map[string]error{
		"repository example.com/a: branch does not exist: push it":                                                                                &Error{Repository: "example.com/a", Err: ErrBranchMissing, Reason: "push it"},
		"repository example.com/a: git fetch failed with exit code 3":                                                                             &CommandError{Repository: "example.com/a", Command: "fetch", Code: 3, Detail: "fatal: secret"},
		`repository of "p": the size of all blobs is over the limit of 7: remove files that do not belong in the repository`:                      &LimitError{Key: "p", Quantity: LimitRead, Limit: 7},
		`repository of "p": the depth of the path "a/b" is over the limit of 1: remove files that do not belong in the repository`:                &LimitError{Key: "p", Quantity: LimitDepth, Object: "a/b", Limit: 1},
		`repository of "p": the length of a path "` + long[:197] + `…" is over the limit of 9: remove files that do not belong in the repository`: &LimitError{Key: "p", Quantity: LimitLength, Object: long, Limit: 9},
		`repository of "p": the length of a path "` + long[:200] + `" is over the limit of 9: remove files that do not belong in the repository`:  &LimitError{Key: "p", Quantity: LimitLength, Object: long[:200], Limit: 9},
	} {
		if got := err.Error(); got != want {
			t.Errorf("message %q, want %q", got, want)
		}
	}
}
