import type { ReactNode } from 'react';
import { downloadByLink, downloadUrl, isByLink, may, messageOf } from '../api';

interface Props {
  name: string;
  className: string;
  /** Where it shows no text. */
  label?: string;
  title?: string;
  onProblem?: (text: string) => void;
  children: ReactNode;
}

/** Where a recording's file is kept from, for those who may. */
export function DownloadLink({ name, className, label, title, onProblem, children }: Props) {
  if (!may('download')) return null;
  return (
    <a
      className={className}
      href={downloadUrl(name)}
      download={name}
      {...(label === undefined ? {} : { 'aria-label': label })}
      {...(title === undefined ? {} : { title })}
      onClick={(event) => {
        if (!isByLink()) return;
        event.preventDefault();
        downloadByLink(name).catch((error: unknown) => onProblem?.(messageOf(error)));
      }}
    >
      {children}
    </a>
  );
}
