// s3-object put|get NAME moves one snapshot of etcd between /backup and an S3 bucket, as rke-etcd-backup of rke-tools does. The
// environment names the bucket with the variables of rke-tools (S3_ENDPOINT and so on). Both keys and the CA are in base64.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/sirupsen/logrus"
)

const folder = "/backup"

func main() {
	if len(os.Args) != 3 {
		logrus.Fatal("usage: s3-object put|get NAME")
	}
	// rke-tools logs the access key as it is given.
	log := logrus.WithFields(logrus.Fields{
		"s3-endpoint":    os.Getenv("S3_ENDPOINT"),
		"s3-bucketName":  os.Getenv("S3_BUCKET_NAME"),
		"s3-accessKey":   os.Getenv("S3_ACCESS_KEY"),
		"s3-region":      os.Getenv("S3_BUCKET_REGION"),
		"s3-endpoint-ca": os.Getenv("S3_ENDPOINT_CA"),
		"s3-folder":      os.Getenv("S3_FOLDER"),
	})
	log.Info("invoking set s3 service client")
	bucket, err := openBucket(context.Background())
	if err != nil {
		log.Errorf("failed to set s3 server: %s", err)
		logrus.Fatalf("failed to set s3 server: %+v", err)
	}
	move := map[string]func(context.Context, string) error{"put": bucket.put, "get": bucket.get}[os.Args[1]]
	if move == nil {
		logrus.Fatalf("unsupported %s", os.Args[1])
	}
	if err := move(context.Background(), os.Args[2]); err != nil {
		logrus.Fatal(err)
	}
}

// bucket is an S3 bucket that exists.
type bucket struct {
	*minio.Client
	name string
}

func openBucket(ctx context.Context) (*bucket, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if ca := os.Getenv("S3_ENDPOINT_CA"); ca != "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(decoded(ca))) {
			return nil, fmt.Errorf("s3-endpoint-ca is not a valid x509 certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	client, err := minio.New(os.Getenv("S3_ENDPOINT"), &minio.Options{
		Creds:     credentials.NewStaticV4(decoded(os.Getenv("S3_ACCESS_KEY")), decoded(os.Getenv("S3_SECRET_KEY")), ""),
		Secure:    true,
		Region:    os.Getenv("S3_BUCKET_REGION"),
		Transport: transport,
	})
	if err != nil {
		return nil, fmt.Errorf("failed to set s3 server: %v", err)
	}
	name := os.Getenv("S3_BUCKET_NAME")
	found, err := client.BucketExists(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("failed to check s3 bucket:%s, err:%v", name, err)
	}
	if !found {
		return nil, fmt.Errorf("bucket %s is not found", name)
	}
	return &bucket{client, name}, nil
}

// decoded returns the text of base64, and any other text as it is.
func decoded(text string) string {
	if plain, err := base64.StdEncoding.DecodeString(text); err == nil {
		return string(plain)
	}
	return text
}

func keyOf(name string) string {
	return path.Join(os.Getenv("S3_FOLDER"), name)
}

// put uploads a snapshot, unless the bucket has one of this name and keeps no versions.
func (b *bucket) put(ctx context.Context, name string) error {
	key := keyOf(name + ".zip")
	if info, _ := b.StatObject(ctx, b.name, key, minio.StatObjectOptions{}); info.Size != 0 {
		if versioning, _ := b.GetBucketVersioning(ctx, b.name); !versioning.Enabled() {
			logrus.Info("Skipping upload to s3 because snapshot already exists and versioning is not enabled for the bucket")
			return nil
		}
	}
	_, err := b.FPutObject(ctx, b.name, key, path.Join(folder, name+".zip"), minio.PutObjectOptions{ContentType: "application/zip"})
	if err != nil {
		return fmt.Errorf("failed to upload etcd snapshot file: %v", err)
	}
	return nil
}

// get downloads the first object of this name, with any ending.
func (b *bucket) get(ctx context.Context, name string) error {
	wanted := keyOf(name)
	for object := range b.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: wanted}) {
		if object.Err != nil {
			return object.Err
		}
		if strings.TrimSuffix(object.Key, path.Ext(object.Key)) == wanted {
			return b.download(ctx, object.Key)
		}
	}
	return fmt.Errorf("failed to download s3 backup: no backups found")
}

func (b *bucket) download(ctx context.Context, key string) error {
	object, err := b.GetObject(ctx, b.name, key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path.Join(folder, path.Base(key)), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, object)
	return err
}
