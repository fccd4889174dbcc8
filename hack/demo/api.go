package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

// startAPI starts nautes-apiserver with the configuration of the operator.
func (d *demo) startAPI(ctx context.Context) error {
	root, err := devstack.ModuleRoot()
	if err != nil {
		return err
	}
	config := d.process.Config
	config.Dir = filepath.Join(d.dir, "apiserver")
	began := time.Now()
	if d.api, err = d.StartRESTServer(ctx, filepath.Join(root, "bin", "nautes-apiserver"), config); err != nil {
		return err
	}
	d.screen.done("nautes-apiserver is ready", time.Since(began))
	return nil
}

// base is the URL that the paths of calls follow.
func (d *demo) base() string { return d.api.URL + "/api/v1/products/" + groupName }

// call is a request to the REST API by ada.
type call struct {
	method string
	// path below the product, with the query.
	path string
	// body is JSON. file is the file with it, if it is too long for a command line.
	body, file string
}

// line is the command for a shell in the directory of the demo. $PRODUCT is the base.
func (c call) line() string {
	line := "curl -sS -H @ada.headers "
	if c.method == http.MethodDelete {
		line += "-X DELETE "
	}
	line += `"$PRODUCT` + c.path + `"`
	switch {
	case c.file != "":
		line += " -d @" + c.file
	case c.body != "":
		line += " -d '" + c.body + "'"
	}
	return line
}

// answer is an answer of the API.
type answer struct {
	Message  string   `json:"message,omitempty"`
	Commit   string   `json:"commit,omitempty"`
	File     string   `json:"file,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	// code is the HTTP status of a problem, and 0 for a success.
	code int
}

var errAPI = errors.New("the REST API refuses it")

// must sends a request that must succeed, and prints the command and the answer.
func (d *demo) must(ctx context.Context, c call) (answer, error) {
	a, err := d.ask(ctx, c)
	if err != nil {
		return a, err
	}
	d.showCall(c, a)
	if a.code != 0 {
		return a, fmt.Errorf("%s: %w: status %d: %s", c.line(), errAPI, a.code, a.Message)
	}
	return a, nil
}

// showCall prints a command and the main part of its answer.
func (d *demo) showCall(c call, a answer) {
	lines := strings.Split(c.line(), "\n")
	for i, line := range lines {
		if i == 0 {
			line = "$ " + line
		}
		d.screen.say("%s", line)
	}
	a.Commit = short(a.Commit)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(a)
	text := strings.TrimSpace(out.String())
	if a.code != 0 {
		text = fmt.Sprintf("%d %s", a.code, text)
	}
	d.screen.say("  %s", text)
}

// ask sends a request with curl, as it is printed, or if there is no curl by itself.
func (d *demo) ask(ctx context.Context, c call) (answer, error) {
	if c.file != "" {
		if err := os.WriteFile(filepath.Join(d.dir, c.file), []byte(c.body), 0o600); err != nil {
			return answer{}, fmt.Errorf("write a request: %w", err)
		}
	}
	send := d.sendItself
	if d.curl {
		send = d.sendByCurl
	}
	content, err := send(ctx, c)
	if err != nil {
		return answer{}, err
	}
	// A problem has a number in status, and a success with a status an object.
	var code struct {
		Status int `json:"status"`
	}
	var a answer
	if err := json.Unmarshal(content, &a); err != nil {
		return a, fmt.Errorf("%s: the answer is no JSON: %w", c.line(), err)
	}
	if json.Unmarshal(content, &code) == nil {
		a.code = code.Status
	}
	return a, nil
}

func (d *demo) sendByCurl(ctx context.Context, c call) ([]byte, error) {
	command := exec.CommandContext(ctx, "sh", "-c", c.line())
	command.Dir = d.dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "PRODUCT=" + d.base()}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", c.line(), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

func (d *demo) sendItself(ctx context.Context, c call) ([]byte, error) {
	method := c.method
	if method == "" && c.body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, d.base()+c.path, strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+d.ada.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return io.ReadAll(response.Body)
}

// remove deletes a resource. While it is in use by something that is still being removed,
// the answer is 409, and the request is repeated.
func (d *demo) remove(ctx context.Context, path string) error {
	c := call{method: http.MethodDelete, path: path}
	var last answer
	refused := 0
	err := d.until(ctx, c.line(), func(ctx context.Context) error {
		var err error
		if last, err = d.ask(ctx, c); err != nil {
			return err
		}
		if last.code == http.StatusConflict {
			refused++
			if err := scenario.Pause(ctx, time.Second); err != nil {
				return err
			}
			return fmt.Errorf("status %d: %s", last.code, last.Message)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.showCall(c, last)
	if last.code != 0 {
		return fmt.Errorf("%s: %w: status %d: %s", c.line(), errAPI, last.code, last.Message)
	}
	if refused > 0 {
		d.screen.say("  (it was sent %d times: before, what uses it was still being removed, and the answer was 409)", refused+1)
	}
	return nil
}
