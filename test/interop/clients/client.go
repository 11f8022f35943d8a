// A client of the control plane in Go, on code generated from our protos: `client calls` and `client verify`, settings
// as JSON on stdin, what was answered as JSON on stdout. foreign-client.ts says what must have been answered.
package main

import (
	"context"
	"encoding/json"
	"os"
	"sort"
	"time"

	pb "conduit.example/client/gen/conduit/v1"
	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

type settings struct {
	Address, ApiKey, Project, Link string
	Jwks, Token, Issuer, Audience  string
	Subjects                       []string
}

type failure struct {
	Code, Reason, Domain string
	Fields               []string
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// What went wrong, as the standard library of gRPC reads it.
func failureOf(err error) failure {
	told := status.Convert(err)
	read := failure{Code: told.Code().String(), Fields: []string{}}
	for _, detail := range told.Details() {
		switch it := detail.(type) {
		case *errdetails.ErrorInfo:
			read.Reason, read.Domain = it.GetReason(), it.GetDomain()
		case *errdetails.BadRequest:
			for _, violation := range it.GetFieldViolations() {
				read.Fields = append(read.Fields, violation.GetField())
			}
		}
	}
	return read
}

func main() {
	var given settings
	check(json.NewDecoder(os.Stdin).Decode(&given))
	modes := map[string]func(settings) map[string]any{"calls": calls, "verify": verify}
	check(json.NewEncoder(os.Stdout).Encode(modes[os.Args[1]](given)))
}

func calls(given settings) map[string]any {
	connection, err := grpc.NewClient(given.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer connection.Close()
	plain, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	authorized := metadata.AppendToOutgoingContext(plain, "authorization", "Bearer "+given.ApiKey)
	report := map[string]any{
		"health":   health(plain, connection),
		"services": services(plain, connection),
		"deadline": deadline(connection),
		"failures": failures(plain, authorized, connection, given),
	}
	tokens(plain, authorized, connection, given, report)
	report["links"], report["sessions"] = pages(authorized, connection, given)
	return report
}

func health(ctx context.Context, connection *grpc.ClientConn) string {
	answer, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	check(err)
	return answer.GetStatus().String()
}

func services(ctx context.Context, connection *grpc.ClientConn) []string {
	stream, err := grpc_reflection_v1.NewServerReflectionClient(connection).ServerReflectionInfo(ctx)
	check(err)
	ask := &grpc_reflection_v1.ServerReflectionRequest_ListServices{}
	check(stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: ask}))
	answer, err := stream.Recv()
	check(err)
	names := []string{}
	for _, service := range answer.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	sort.Strings(names)
	return names
}

// Health's Watch stays silent after its first answer, so that the deadline is what ends it.
func deadline(connection *grpc.ClientConn) failure {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	stream, err := grpc_health_v1.NewHealthClient(connection).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	check(err)
	for {
		if _, err := stream.Recv(); err != nil {
			return failureOf(err)
		}
	}
}

func mintRequest(given settings, subject string) *pb.MintTokenRequest {
	claims, err := structpb.NewStruct(map[string]any{"email": "a@b.example"})
	check(err)
	return &pb.MintTokenRequest{Parent: given.Project, Subject: subject, Links: []string{given.Link}, Claims: claims}
}

func failures(plain, authorized context.Context, connection *grpc.ClientConn, given settings) map[string]failure {
	client := pb.NewTokenServiceClient(connection)
	_, withoutKey := client.MintToken(plain, mintRequest(given, "x"))
	_, wrongField := client.MintToken(authorized, mintRequest(given, ""))
	_, notFound := pb.NewLinkServiceClient(connection).GetLink(authorized, &pb.GetLinkRequest{Name: given.Project + "/links/none"})
	list := &pb.ListLinksRequest{Parent: given.Project, PageToken: "invented"}
	_, wrongPage := pb.NewLinkServiceClient(connection).ListLinks(authorized, list)
	return map[string]failure{
		"withoutKey": failureOf(withoutKey),
		"wrongField": failureOf(wrongField),
		"notFound":   failureOf(notFound),
		"wrongPage":  failureOf(wrongPage),
	}
}

func tokens(plain, authorized context.Context, connection *grpc.ClientConn, given settings, report map[string]any) {
	client := pb.NewTokenServiceClient(connection)
	kept, err := client.MintToken(authorized, mintRequest(given, given.Subjects[0]))
	check(err)
	revoked, err := client.MintToken(authorized, mintRequest(given, given.Subjects[0]))
	check(err)
	target := &pb.RevokeTokenRequest_TokenId{TokenId: revoked.GetTokenId()}
	_, err = client.RevokeToken(authorized, &pb.RevokeTokenRequest{Parent: given.Project, Target: target, Reason: "stolen"})
	check(err)
	asked := &pb.IntrospectTokenRequest{Parent: given.Project, Token: revoked.GetAccessToken()}
	known, err := client.IntrospectToken(authorized, asked)
	check(err)
	report["kept"] = map[string]any{"token": kept.GetAccessToken(), "expiresIn": kept.GetExpiresIn()}
	report["revoked"] = map[string]any{"token": revoked.GetAccessToken(), "active": known.GetActive()}
	report["ended"] = endedSession(plain, authorized, connection, given)
}

// Opens sessions, refreshes the last and ends it: what its next refresh token is told.
func endedSession(plain, authorized context.Context, connection *grpc.ClientConn, given settings) map[string]any {
	client := pb.NewTokenServiceClient(connection)
	var opened *pb.MintTokenResponse
	for _, subject := range given.Subjects {
		request := mintRequest(given, subject)
		request.Session = &pb.SessionOptions{DeviceLabel: "go"}
		var err error
		opened, err = client.MintToken(authorized, request)
		check(err)
	}
	refreshed, err := client.RefreshToken(plain, &pb.RefreshTokenRequest{RefreshToken: opened.GetRefreshToken()})
	check(err)
	end := &pb.RevokeSessionRequest{Name: refreshed.GetSession(), Reason: "signed out"}
	_, err = pb.NewSessionServiceClient(connection).RevokeSession(authorized, end)
	check(err)
	_, refused := client.RefreshToken(plain, &pb.RefreshTokenRequest{RefreshToken: refreshed.GetRefreshToken()})
	return map[string]any{"token": refreshed.GetAccessToken(), "refused": failureOf(refused)}
}

// Every page of links (one each) and of sessions (two each), by the names on it.
func pages(ctx context.Context, connection *grpc.ClientConn, given settings) (links, sessions [][]string) {
	for token, more := "", true; more; more = token != "" {
		request := &pb.ListLinksRequest{Parent: given.Project, PageSize: 1, PageToken: token}
		answer, err := pb.NewLinkServiceClient(connection).ListLinks(ctx, request)
		check(err)
		names := []string{}
		for _, link := range answer.GetLinks() {
			names = append(names, link.GetName())
		}
		links, token = append(links, names), answer.GetNextPageToken()
	}
	for token, more := "", true; more; more = token != "" {
		request := &pb.ListSessionsRequest{Parent: given.Project, PageSize: 2, PageToken: token}
		answer, err := pb.NewSessionServiceClient(connection).ListSessions(ctx, request)
		check(err)
		names := []string{}
		for _, session := range answer.GetSessions() {
			names = append(names, session.GetSubject())
		}
		sessions, token = append(sessions, names), answer.GetNextPageToken()
	}
	return links, sessions
}

// A token of ours, verified by golang-jwt with the key that our key set names.
func verify(given settings) map[string]any {
	keys, err := jwkset.NewDefaultHTTPClient([]string{given.Jwks})
	check(err)
	find := func(token *jwt.Token) (any, error) {
		key, err := keys.KeyRead(context.Background(), token.Header["kid"].(string))
		if err != nil {
			return nil, err
		}
		return key.Key(), nil
	}
	token, err := jwt.Parse(given.Token, find, jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(given.Issuer),
		jwt.WithAudience(given.Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"header": token.Header, "claims": token.Claims}
}
