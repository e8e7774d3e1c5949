// Certificates for a test, as the Secrets of Kubernetes hold them.
import {execFileSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';

const openssl = (folder, ...args) => execFileSync('openssl', args, {cwd: folder, stdio: ['ignore', 'pipe', 'pipe']});

// {ca.crt, tls.crt, tls.key} for each DNS name, by one authority. Files are made in `folder`.
export function makeCertificates(folder, names) {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(folder, 'req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=authority', '-days', '2');
  return names.map((name, index) => {
    const [key, request, certificate] = ['key', 'csr', 'crt'].map((end) => `${index}.${end}`);
    openssl(folder, 'req', ...curve, '-keyout', key, '-out', request, '-subj', `/CN=${name}`);
    writeFileSync(`${folder}/extensions`, `subjectAltName=DNS:${name}\n`);
    const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extensions'];
    openssl(folder, 'x509', '-req', '-in', request, '-out', certificate, '-days', '1', ...signing);
    const read = (file) => readFileSync(`${folder}/${file}`, 'utf8');
    return {'ca.crt': read('ca.crt'), 'tls.crt': read(certificate), 'tls.key': read(key)};
  });
}
