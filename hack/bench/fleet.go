package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// behaviour is how a simulated cluster answers.
type behaviour string

const (
	healthy behaviour = "healthy"
	// slow: each answer takes between slowLeast and slowMost.
	slow behaviour = "slow"
	// dead: connections are accepted, and nothing is ever answered.
	dead behaviour = "dead"
)

// fleet is many simulated runtime clusters, each an HTTPS server on a loopback
// port of its own, with one certificate that vouches for all of them.
type fleet struct {
	members []*member
	// writes counts the requests to write that all of them have had.
	writes      atomic.Int64
	certificate []byte
}

// member is one cluster of a fleet.
type member struct {
	name     string
	how      behaviour
	url      string
	token    string
	listener net.Listener
	server   *http.Server // nil for a dead one
}

// startFleet starts so many clusters of each behaviour.
func startFleet(sizes map[behaviour]int) (*fleet, error) {
	s, err := newSurface()
	if err != nil {
		return nil, err
	}
	f := &fleet{}
	serving, err := f.newCertificate()
	if err != nil {
		return nil, err
	}
	for _, how := range []behaviour{healthy, slow, dead} {
		for i := range sizes[how] {
			m := &member{name: fmt.Sprintf("%s-%d", how, i), how: how, token: rand.Text()}
			if err := f.start(m, s, serving); err != nil {
				return nil, errors.Join(err, f.stop())
			}
		}
	}
	return f, nil
}

func (f *fleet) start(m *member, s *surface, serving tls.Certificate) error {
	var err error
	if m.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("start the simulated cluster %s: %w", m.name, err)
	}
	m.url = "https://" + m.listener.Addr().String()
	f.members = append(f.members, m)
	if m.how == dead {
		// The kernel accepts connections for the listening port, and no program
		// ever reads from them.
		return nil
	}
	m.server = &http.Server{
		Handler:           newSimulated(s, types.UID("uid-of-"+m.name), m.token, m.how == slow, &f.writes),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{serving}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go func() { _ = m.server.ServeTLS(m.listener, "", "") }()
	return nil
}

func (f *fleet) stop() error {
	var all []error
	for _, m := range f.members {
		if m.server != nil {
			all = append(all, m.server.Close())
		} else {
			all = append(all, m.listener.Close())
		}
	}
	return errors.Join(all...)
}

// newCertificate makes a certificate for servers on loopback that vouches for itself.
func (f *fleet) newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the key of the simulated clusters: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "simulated clusters"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the certificate of the simulated clusters: %w", err)
	}
	f.certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// kubeconfig returns the kubeconfig of a member.
func (f *fleet) kubeconfig(m *member) ([]byte, error) {
	type object = map[string]any
	encoded, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": m.name,
		"clusters": []object{{"name": m.name, "cluster": object{
			"server": m.url, "certificate-authority-data": base64.StdEncoding.EncodeToString(f.certificate),
		}}},
		"users":    []object{{"name": m.name, "user": object{"token": m.token}}},
		"contexts": []object{{"name": m.name, "context": object{"cluster": m.name, "user": m.name}}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the kubeconfig of %s: %w", m.name, err)
	}
	return encoded, nil
}

// names returns the names of the members that answer so.
func (f *fleet) names(how behaviour) []string {
	var names []string
	for _, m := range f.members {
		if m.how == how {
			names = append(names, m.name)
		}
	}
	return names
}
