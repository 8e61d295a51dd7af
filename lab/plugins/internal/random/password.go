package random

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"golang.org/x/crypto/bcrypt"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// bcryptLimit is the length in bytes after which bcrypt ignores the rest of a password.
const bcryptLimit = 72

// class is a set of characters with the names of its two inputs.
type class struct{ allowed, minimum, characters string }

func classes(inputs provider.Values) []class {
	return []class{
		{"lower", "minLower", "abcdefghijklmnopqrstuvwxyz"},
		{"upper", "minUpper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{"numeric", "minNumeric", "0123456789"},
		{"special", "minSpecial", cmp.Or(inputs.String("overrideSpecial"), "!@#$%&*()-_=+[]{}<>:?")},
	}
}

func createPassword(_ context.Context, _ provider.Call, inputs provider.Values) (string, provider.Values, error) {
	password, err := drawPassword(inputs)
	if err != nil {
		return "", nil, err
	}
	hash, err := bcrypt.GenerateFromPassword(password[:min(len(password), bcryptLimit)], bcrypt.DefaultCost)
	return "none", provider.Values{"result": string(password), "bcryptHash": string(hash)}, err
}

func drawPassword(inputs provider.Values) ([]byte, error) {
	length := inputs.Int("length")
	var all string
	var password []byte
	for _, class := range classes(inputs) {
		if inputs.Bool(class.allowed) {
			all += class.characters
		}
		for range inputs.Int(class.minimum) {
			password = append(password, class.characters[below(len(class.characters))])
		}
	}
	if len(password) > length {
		return nil, fmt.Errorf("expected length of at least %d, the sum of the minimums, found %d: raise length", len(password), length)
	}
	if all == "" {
		return nil, errors.New("expected one of lower, upper, numeric, special to be true, found none: allow a class of characters")
	}
	for len(password) < length {
		password = append(password, all[below(len(all))])
	}
	// Shuffles the password, because the characters of the minimums are at its start.
	for i := range password {
		j := i + below(len(password)-i)
		password[i], password[j] = password[j], password[i]
	}
	return password, nil
}
