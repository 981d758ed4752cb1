import type { ReactNode } from 'react';
import { Logo } from '../ui/Logo';
import './access.css';

interface Props {
  title: string;
  subtitle: string;
  children: ReactNode;
}

/** A page with one form in it. */
export function PasswordPage({ title, subtitle, children }: Props) {
  return (
    <div className="page">
      <header className="page__header">
        <Logo />
      </header>
      <main className="access card">
        <h1>{title}</h1>
        <p className="access__subtitle">{subtitle}</p>
        {children}
      </main>
    </div>
  );
}
