// How to connect to a server: TLS or plaintext, with or without an identity token on every call.

package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/local"
	"google.golang.org/grpc/status"
)

// The values of Access.Auth.
const (
	AuthAuto          = "auto"
	AuthIdentityToken = "identity-token"
	AuthNone          = "none"
)

// The headers in which Cloud Run accepts an identity token.
const (
	HeaderAuthorization = "authorization"
	HeaderServerless    = "x-serverless-authorization"
)

// Access is how to connect to a server.
type Access struct {
	// TLS forces TLS even if the address does not imply it.
	TLS bool
	// CACert is a PEM file of CA certificates that replaces the system's roots when the server's certificate is
	// verified. It implies TLS.
	CACert string
	// Auth decides whether calls send an identity token. AuthIdentityToken sends one with every call, including reflection
	// and health checks; AuthNone never does. AuthAuto, the default, sends one over TLS if Audience or Impersonate is set,
	// or if the server is on Cloud Run and credentials are available.
	Auth string
	// Audience is the audience of the tokens; if empty, https://HOST.
	Audience string
	// Impersonate is the e-mail address of the service account whose tokens are sent; if empty, the caller's own.
	Impersonate string
	// Headers are the headers that carry the token; if empty, HeaderAuthorization. Cloud Run prefers HeaderServerless if
	// it is present, and then leaves HeaderAuthorization to the service.
	Headers []string
}

// UsesTLS returns whether connections to an address use TLS.
func (a Access) UsesTLS(address Address) bool {
	return a.TLS || a.CACert != "" || address.IsTLS
}

func (a Access) isAuto() bool {
	return a.Auth == "" || a.Auth == AuthAuto
}

// RequiredAudience returns the audience of the token if calls to an address require a token; otherwise "".
func (a Access) RequiredAudience(address Address) string {
	isNamed := a.Audience != "" || a.Impersonate != ""
	switch {
	case a.Auth != AuthIdentityToken && !(a.isAuto() && isNamed && a.UsesTLS(address)):
		return ""
	case a.Audience != "":
		return a.Audience
	default:
		return address.Audience()
	}
}

// dialOptions returns the credentials of a channel to an address.
func (a Access) dialOptions(ctx context.Context, address Address) ([]grpc.DialOption, error) {
	var transport credentials.TransportCredentials
	if a.UsesTLS(address) {
		roots, err := certificates(a.CACert)
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(&tls.Config{RootCAs: roots})
	}
	sender, err := a.sender(ctx, address)
	if err != nil {
		return nil, err
	}
	if sender == nil {
		if transport == nil {
			transport = insecure.NewCredentials()
		}
		return []grpc.DialOption{grpc.WithTransportCredentials(transport)}, nil
	}
	if transport == nil {
		transport = local.NewCredentials() // plaintext; gRPC itself verifies that the peer is this machine
	}
	return []grpc.DialOption{grpc.WithTransportCredentials(transport), grpc.WithPerRPCCredentials(sender)}, nil
}

// certificates returns the CA certificates in a file; nil, which means the system's, if there is no file.
func certificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err // without the name of the file
		}
		return nil, fmt.Errorf("the certificates in %s cannot be read: %w", file, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s: must be a PEM file", file)
	}
	return pool, nil
}

// sender returns what adds a token to every call; nil if calls do not need one.
func (a Access) sender(ctx context.Context, address Address) (*tokenSender, error) {
	isTLS, required := a.UsesTLS(address), a.RequiredAudience(address)
	isOptional := a.isAuto() && required == "" // a public service does not need a token
	if a.Auth == AuthNone || (isOptional && !(isTLS && address.IsCloudRun())) {
		return nil, nil
	}
	if !isTLS && !address.IsLoopback() {
		return nil, fmt.Errorf("%s: an identity token is a secret, and is not sent in plaintext; use TLS", address.Target)
	}
	audience := required
	if audience == "" {
		audience = address.Audience()
	}
	if audience == "" {
		return nil, fmt.Errorf(
			"%s: this address does not imply an audience for identity tokens; set one", address.Target)
	}
	tokens, err := findTokens(ctx, audience, a.Impersonate)
	if err != nil {
		// Google Cloud always provides credentials, so a failure there is temporary: do not fall back to no token.
		if isOptional && !isOnGoogleCloud() {
			return nil, nil
		}
		return nil, err
	}
	headers := a.Headers
	if len(headers) == 0 {
		headers = []string{HeaderAuthorization}
	}
	return &tokenSender{tokens, headers, isOptional, isTLS}, nil
}

// findTokens finds credentials, and fetches a token now. Otherwise the first call would wait for it, and might miss its
// deadline.
func findTokens(ctx context.Context, audience, impersonate string) (*tokens, error) {
	found := &tokens{fetch: sourceOnce(audience, impersonate), early: early}
	_, err := found.get(ctx)
	return found, err
}

// tokenSender adds a token to every call. Without a token, the call fails, unless the token is optional.
type tokenSender struct {
	tokens     *tokens
	headers    []string
	isOptional bool
	isTLS      bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (s *tokenSender) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := s.tokens.get(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case err != nil && s.isOptional:
		return nil, nil
	case err != nil:
		return nil, err
	}
	metadata := make(map[string]string)
	for _, header := range s.headers {
		metadata[header] = "Bearer " + token
	}
	return metadata, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. Without TLS, the server is on this machine.
func (s *tokenSender) RequireTransportSecurity() bool {
	return s.isTLS
}
