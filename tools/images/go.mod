// The programs inside the local cluster's images: static, with nothing but the standard library.
module choerodon.io/c7n/tools/images

go 1.26
